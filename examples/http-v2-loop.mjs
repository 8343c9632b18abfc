// A v2 code step that sends one request per name.

export default defineComponent({
  async run({ steps, $ }) {
    const names = ["Luke", "Han", "Leia", "Obi Wan"];
    names.forEach((name) => {
      $.send.http({
        method: "POST",
        url: steps.trigger.event.url,
        data: {
          name,
        },
      });
    });
  },
});
