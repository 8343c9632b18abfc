// A v1 code step: `$send` is a global. Pipedream's documentation has "[YOUR URL HERE]" as the URL.

export default async function (event, steps) {
  $send.http({
    method: "POST",
    url: event.url,
    data: {
      name: "Luke Skywalker",
    },
  });
}
