const html = `<ul>${event.names.map((name) => `<li>${name.replace(/[<>]/g, '')}</li>`).join('')}</ul>`
$send.email({ subject: 'List', text: html })
