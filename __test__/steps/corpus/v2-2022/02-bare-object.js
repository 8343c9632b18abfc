{
  async run({ steps, $ }) {
    $.export('name', steps.trigger.event.name)
  },
}
