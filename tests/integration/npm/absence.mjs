// `leave`: subscribes in a session that is kept and goes. `return`: comes back and prints what came meanwhile.

import { connect, kept } from "./client.mjs";

const [, , step, count] = process.argv;
const client = await connect("npm-absent", kept);
if (step === "leave") {
    await client.subscribeAsync("npm/absent", { qos: 2 });
} else {
    const messages = await client.take(Number(count));
    const payloads = messages.map(({ payload }) => payload);
    console.log(JSON.stringify({ isPresent: client.connack.sessionPresent, payloads }));
}
await client.endAsync();
