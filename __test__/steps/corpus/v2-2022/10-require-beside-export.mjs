const { posix } = require("path")

export default defineComponent({
  async run({ steps }) {
    return posix.basename(steps.trigger.event.file)
  },
})
