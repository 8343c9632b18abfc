export default {
  methods: {
    _headers() {
      return { 'x-version': this.version }
    },
    send(url) {
      $send.http({ method: 'DELETE', url, headers: this._headers() })
    },
  },
  props: { version: { type: 'integer', default: 2 } },
  async run({ event }) {
    this.send(event.url)
  },
}
