import { setTimeout as wait } from "timers/promises"
const config = await wait(1, { retries: 2 })

export default defineComponent({ run: async () => config.retries })
