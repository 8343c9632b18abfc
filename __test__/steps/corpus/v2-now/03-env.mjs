export default defineComponent({
  async run({ $ }) {
    $.export('key', process.env.CORPUS_KEY)
  },
})
