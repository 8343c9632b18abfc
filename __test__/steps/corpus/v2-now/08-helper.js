import greet, { languages } from "./helpers/greet.js"

export default defineComponent({
  async run({ steps }) {
    return [greet(steps.trigger.event.name), languages]
  },
})
