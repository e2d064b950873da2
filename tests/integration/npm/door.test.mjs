import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { connect, kept, version, within } from "./client.mjs";

const only5 = { skip: version !== 5 };

test("every QoS arrives in both directions", async () => {
    const client = await connect("npm-qos");
    const granted = await client.subscribeAsync("npm/qos", { qos: 2 });
    assert.equal(granted[0].qos, 2);
    for (const qos of [0, 1, 2]) await client.publishAsync("npm/qos", `${qos}`, { qos });
    const messages = await client.take(3);
    assert.deepEqual(
        messages.map(({ payload, packet }) => [payload, packet.qos, packet.retain]),
        [["0", 0, false], ["1", 1, false], ["2", 2, false]],
    );
    await client.endAsync();
});

test("a thousand messages at once keep their order", async () => {
    const client = await connect("npm-order");
    await client.subscribeAsync("npm/order", { qos: 1 });
    const sent = [];
    for (let number = 0; number < 1000; number++) sent.push(client.publishAsync("npm/order", `${number}`, { qos: 1 }));
    await Promise.all(sent);
    const messages = await client.take(1000);
    assert.deepEqual(messages.map(({ payload }) => Number(payload)), [...Array(1000).keys()]);
    await client.endAsync();
});

test("a retained message comes to who subscribes later, until it is taken back", async () => {
    const sender = await connect("npm-retain");
    await sender.publishAsync("npm/retained", "kept", { qos: 1, retain: true });
    const late = await connect("npm-late");
    await late.subscribeAsync("npm/+", { qos: 1 });
    const message = await late.next();
    assert.deepEqual([message.topic, message.payload, message.packet.retain], ["npm/retained", "kept", true]);
    await sender.publishAsync("npm/retained", "", { qos: 1, retain: true });
    assert.equal((await late.next()).payload, "");
    const later = await connect("npm-later");
    await later.subscribeAsync("npm/+", { qos: 1 });
    await later.publishAsync("npm/end", "end", { qos: 1 });
    assert.equal((await later.next()).topic, "npm/end");
    await Promise.all([sender, late, later].map((client) => client.endAsync()));
});

test("a will tells of a broken line", async () => {
    const watcher = await connect("npm-watcher");
    await watcher.subscribeAsync("npm/will", { qos: 1 });
    const dying = await connect("npm-dying", { will: { topic: "npm/will", payload: "gone", qos: 1, retain: false } });
    dying.on("error", () => {});
    dying.stream.destroy();
    assert.equal((await watcher.next()).payload, "gone");
    await watcher.endAsync();
    dying.end(true);
});

test("a kept session is present again and has what came meanwhile", async () => {
    const before = await connect(`npm-kept-${version}`, kept);
    assert.equal(before.connack.sessionPresent, false);
    await before.subscribeAsync("npm/kept", { qos: 2 });
    await before.endAsync();
    const sender = await connect("npm-sender");
    for (const qos of [1, 2]) await sender.publishAsync("npm/kept", `${qos}`, { qos });
    const after = await connect(`npm-kept-${version}`, kept);
    assert.equal(after.connack.sessionPresent, true);
    assert.deepEqual((await after.take(2)).map(({ payload }) => payload).sort(), ["1", "2"]);
    await after.unsubscribeAsync("npm/kept");
    await Promise.all([sender, after].map((client) => client.endAsync()));
});

test("a second connection of a client id takes over", async () => {
    const old = await connect("npm-twice");
    const closed = once(old, "close");
    const told = version === 5 ? once(old, "disconnect") : null;
    const next = await connect("npm-twice");
    await within(closed, "the close of the old connection");
    if (told) assert.equal((await told)[0].reasonCode, 0x8e);
    await next.endAsync();
    old.end(true);
});

test("properties are passed on", only5, async () => {
    const client = await connect("npm-properties");
    await client.subscribeAsync("npm/properties", { qos: 1, properties: { subscriptionIdentifier: 7 } });
    const properties = {
        payloadFormatIndicator: true,
        contentType: "text/plain",
        responseTopic: "answers",
        correlationData: Buffer.from([0, 1]),
        userProperties: { a: ["1", "2"], b: "3" },
        messageExpiryInterval: 100,
    };
    await client.publishAsync("npm/properties", "x", { qos: 1, properties });
    const got = (await client.next()).packet.properties;
    assert.deepEqual(
        { ...got, userProperties: { ...got.userProperties } },
        { ...properties, subscriptionIdentifier: 7 },
    );
    await client.endAsync();
});

test("topic aliases work in both directions", only5, async () => {
    const client = await connect("npm-alias", {
        autoUseTopicAlias: true,
        autoAssignTopicAlias: true,
        properties: { topicAliasMaximum: 5 },
    });
    await client.subscribeAsync("npm/alias/#", { qos: 1 });
    const topics = ["a", "b", "a", "b", "a"].map((name) => `npm/alias/${name}`);
    for (const topic of topics) await client.publishAsync(topic, "x", { qos: 1 });
    assert.deepEqual((await client.take(5)).map(({ topic }) => topic), topics);
    await client.endAsync();
});

test("no more than the receive maximum is in flight", only5, async () => {
    const slow = await connect("npm-slow", { properties: { receiveMaximum: 2 } });
    let inFlight = 0;
    let most = 0;
    const held = [];
    slow.handleMessage = (packet, done) => {
        inFlight += 1;
        most = Math.max(most, inFlight);
        held.push(() => {
            inFlight -= 1;
            done();
        });
        setImmediate(() => held.shift()());
    };
    await slow.subscribeAsync("npm/slow", { qos: 1 });
    const sender = await connect("npm-fast");
    const sent = [];
    for (let number = 0; number < 50; number++) sent.push(sender.publishAsync("npm/slow", `${number}`, { qos: 1 }));
    await Promise.all(sent);
    await slow.take(50);
    assert.ok(most <= 2, `${most} were in flight`);
    await Promise.all([slow, sender].map((client) => client.endAsync()));
});

test("a packet larger than the client takes is left out", only5, async () => {
    const client = await connect("npm-small", { properties: { maximumPacketSize: 200 } });
    await client.subscribeAsync("npm/small", { qos: 1 });
    await client.publishAsync("npm/small", "x".repeat(500), { qos: 1 });
    await client.publishAsync("npm/small", "small", { qos: 1 });
    assert.equal((await client.next()).payload, "small");
    await client.endAsync();
});
