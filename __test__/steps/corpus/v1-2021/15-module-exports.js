const { format } = require('util')

module.exports = async (event, steps) => {
  this.line = format('%s: %d', event.name, event.count)
  return this.line
}
