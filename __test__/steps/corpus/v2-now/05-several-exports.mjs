export const version = '1'
export function double(n) {
  return n * 2
}
export default defineComponent({ run: async ({ steps }) => double(steps.trigger.event.n) })
