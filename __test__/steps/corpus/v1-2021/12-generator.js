function* pages(count) {
  for (let page = 1; page <= count; page++) yield page
}
for await (const page of pages(event.pages)) $send.sse({ channel: 'pages', payload: { page } })
