// A v2 code step with a prop and an account.
export default defineComponent({
  props: {
    channel: { type: "string" },
    slack: { type: "app", app: "slack" },
  },
  async run({ steps, $ }) {
    $.send.http({
      method: "POST",
      url: steps.fetch.$return_value.url,
      headers: { authorization: `Bearer ${this.slack.$auth.oauth_access_token}` },
      data: { channel: this.channel, id: steps.fetch.$return_value.id },
    });
  },
});
