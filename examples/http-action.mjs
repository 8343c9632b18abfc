// A component action: `this` holds its props and methods.

export default {
  name: "Greet",
  description: "Sends a greeting to a URL",
  key: "example-greet",
  version: "0.0.1",
  type: "action",
  props: {
    url: { type: "string", label: "URL" },
    name: { type: "string", label: "Name", default: "Luke Skywalker" },
  },
  methods: {
    greeting() {
      return `Hello, ${this.name}`;
    },
  },
  async run({ $ }) {
    $.send.http({
      method: "GET",
      url: this.url,
      params: { greeting: this.greeting() },
    });
    $.export("$summary", `Greeted ${this.name}`);
  },
};
