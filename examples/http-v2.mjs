// A v2 code step: `$` is an argument, the event is that of the trigger.

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
