import { axios } from "@pipedream/platform"

export default defineComponent({
  props: { url: { type: 'string' } },
  async run({ steps, $ }) {
    return typeof axios
  },
})
