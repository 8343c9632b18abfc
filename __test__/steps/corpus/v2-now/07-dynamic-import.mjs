export default defineComponent({
  async run() {
    const { default: fetch, Headers } = await import("node-fetch@3.3.2")
    return [typeof fetch, new Headers([['a', 'b']]).get('a')]
  },
})
