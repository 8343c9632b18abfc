async (event, steps, params) => {
  $send.http({ method: params.method, url: `${event.url}/${params.id}` })
}
