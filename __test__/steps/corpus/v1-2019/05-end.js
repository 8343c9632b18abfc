async (event) => {
  if (!event.body.email) $end('no email')
  $send.email({ subject: 'Welcome', text: `Hello ${event.body.email}` })
}
