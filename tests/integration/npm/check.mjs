// Plays one scenario with the npm package `mqtt` against the door and prints what came as JSON.
// usage: node check.mjs SCENARIO PORT VERSION(4|5)
import mqtt from "mqtt";

const [scenario, port, version] = process.argv.slice(2);
const protocolVersion = Number(version);
const url = `mqtt://127.0.0.1:${port}`;

const connect = (clientId, options = {}) =>
  mqtt.connectAsync(url, { clientId, protocolVersion, reconnectPeriod: 0, connectTimeout: 20_000, ...options });

/** Resolves with the first `count` messages, as plain records. */
function messages(client, count) {
  const found = [];
  return new Promise((resolve) => {
    client.on("message", (topic, payload, packet) => {
      const { qos, retain, properties } = packet;
      found.push({ topic, payload: payload.toString(), qos, retain, properties: plain(properties) });
      if (found.length === count) resolve(found);
    });
  });
}

function plain(properties) {
  if (properties === undefined) return null;
  const { correlationData, ...rest } = properties;
  return correlationData === undefined ? rest : { ...rest, correlationData: correlationData.toString() };
}

const scenarios = {
  /** Every QoS to a subscription of QoS 2 comes with its own QoS, in order. */
  async qos() {
    const client = await connect("qos");
    const came = messages(client, 3);
    const granted = await client.subscribeAsync("npm/qos/+", { qos: 2 });
    for (const qos of [0, 1, 2]) await client.publishAsync(`npm/qos/${qos}`, `at ${qos}`, { qos });
    const result = { granted: granted.map((one) => one.qos), came: await came };
    await client.endAsync();
    return result;
  },

  /** A retained message comes to a later subscriber, marked as retained, until it is removed. */
  async retained() {
    const client = await connect("retained");
    await client.publishAsync("npm/retained", "kept", { qos: 1, retain: true });
    const came = messages(client, 2);
    await client.subscribeAsync("npm/retained", { qos: 1 });
    await client.publishAsync("npm/retained", "", { qos: 1, retain: true });
    const result = await came;
    await client.endAsync();
    return result;
  },

  /** A client that vanishes leaves its will. */
  async will() {
    const watcher = await connect("watcher");
    const came = messages(watcher, 1);
    await watcher.subscribeAsync("npm/will", { qos: 1 });
    const client = await connect("mortal", { will: { topic: "npm/will", payload: "gone", qos: 1, retain: false } });
    client.stream.destroy();
    const result = await came;
    await watcher.endAsync();
    return result;
  },

  /** What is published while a persistent session is away waits for it, in order. */
  async session() {
    const lasting =
      protocolVersion === 5
        ? { clean: false, properties: { sessionExpiryInterval: 3600 } }
        : { clean: false };
    const first = await connect("lasting", lasting);
    await first.subscribeAsync("npm/session", { qos: 2 });
    await first.endAsync();
    const publisher = await connect("publisher");
    for (let number = 0; number < 20; number += 1)
      await publisher.publishAsync("npm/session", String(number), { qos: 2 });
    await publisher.endAsync();
    const again = mqtt.connect(url, { clientId: "lasting", protocolVersion, reconnectPeriod: 0, ...lasting });
    const came = messages(again, 20);
    const connack = await new Promise((resolve) => again.on("connect", resolve));
    const result = { present: connack.sessionPresent, came: (await came).map((one) => one.payload) };
    await again.endAsync();
    return result;
  },

  /** MQTT 5: request and response properties, user properties and the subscription's identifier are passed on. */
  async properties() {
    const client = await connect("properties");
    const came = messages(client, 1);
    await client.subscribeAsync("npm/request", { qos: 1, properties: { subscriptionIdentifier: 42 } });
    await client.publishAsync("npm/request", "ping", {
      qos: 1,
      properties: {
        responseTopic: "npm/response",
        correlationData: Buffer.from("c-1"),
        contentType: "text/plain",
        messageExpiryInterval: 600,
        userProperties: { room: "204" },
      },
    });
    const result = await came;
    await client.endAsync();
    return result;
  },

  /** A shared subscription gives each message to one member. */
  async shared() {
    const members = [await connect("member-1"), await connect("member-2")];
    const counts = [0, 0];
    let total = 0;
    const all = new Promise((resolve) => {
      members.forEach((member, index) =>
        member.on("message", () => {
          counts[index] += 1;
          total += 1;
          if (total === 40) resolve();
        }),
      );
    });
    for (const member of members) await member.subscribeAsync("$share/group/npm/shared", { qos: 1 });
    for (let number = 0; number < 40; number += 1)
      await members[0].publishAsync("npm/shared", String(number), { qos: 1 });
    await all;
    for (const member of members) await member.endAsync();
    return { total, idle: counts.filter((count) => count === 0).length };
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
process.exit(0);
