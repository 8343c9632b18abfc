// A v1 code step: `$send` is a global. The original's document has "[YOUR URL HERE]" as the URL.

export default async function (event, steps) {
  $send.http({
    method: "POST",
    url: event.url,
    data: {
      name: "Luke Skywalker",
    },
  });
}
