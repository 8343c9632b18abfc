// A v1 code step that sends one request per name. Nothing is awaited: delivery starts after the step.

export default async function (event, steps) {
  const names = ["Luke", "Han", "Leia", "Obi Wan"];
  for (const name of names) {
    $send.http({
      method: "POST",
      url: event.url,
      data: {
        name,
      },
    });
  }
}
