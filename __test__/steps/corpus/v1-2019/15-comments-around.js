/**
 * Emits one event for each tag: /tags/{name}
 */
async (event, steps) => {
  const tags = event.text.match(/#[\w/]+/g) || [] // such as #a/b
  tags.forEach((tag) => $send.emit({ tag }))
}
// The end.
