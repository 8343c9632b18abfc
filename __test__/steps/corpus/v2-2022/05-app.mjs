const github = {
  type: 'app',
  app: 'github',
  methods: {
    headers() {
      return { authorization: `token ${this.$auth.oauth_access_token}` }
    },
  },
}

export default defineComponent({
  props: { github },
  async run({ $ }) {
    return this.github.headers()
  },
})
