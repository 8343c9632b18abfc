import axios from "axios@~1"
import { AxiosHeaders } from "axios@1"

export default defineComponent({
  async run() {
    return [typeof axios.get, new AxiosHeaders({ a: '1' }).get('a')]
  },
})
