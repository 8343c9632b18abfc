// A v2 code step: `$` is an argument, and the event is in `steps.trigger`.

export default defineComponent({
  async run({ steps, $ }) {
    $.send.http({
      method: "POST",
      url: steps.trigger.event.url,
      data: {
        name: "Luke Skywalker",
      },
    });
  },
});
