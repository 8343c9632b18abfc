const { inspect } = require('util')

module.exports = defineComponent({
  async run({ steps, $ }) {
    return inspect(steps.trigger.event.list)
  },
})
