async (event) => {
  const { createHash } = require('crypto')
  const url = require('url')
  this.hash = createHash('sha1').update(event.text).digest('hex')
  this.path = url.parse(event.url).pathname
}
