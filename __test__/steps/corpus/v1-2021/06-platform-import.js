const { axios } = await import('@pipedream/platform@3')
return typeof axios
