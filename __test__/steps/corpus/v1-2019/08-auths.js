async (event, steps, params, auths) => {
  $send.http({
    method: 'POST',
    url: event.url,
    headers: { Authorization: `Bearer ${auths.slack.oauth_access_token}` },
    data: { text: params.text },
  })
  this.user = auths.slack.oauth_uid
}
