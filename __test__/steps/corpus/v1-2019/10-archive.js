event => {
  $send.s3({ bucket: 'archive', prefix: `${event.kind}/`, payload: event })
}
