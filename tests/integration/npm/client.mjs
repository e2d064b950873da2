// A client of the npm package mqtt that waits for what must come. DOOR_URL: where the door is; DOOR_VERSION: 4 or 5.

import mqtt from "mqtt";

export const version = Number(process.env.DOOR_VERSION);
const WITHIN_MS = 20_000;

export function within(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not within ${WITHIN_MS} ms: ${what}`)), WITHIN_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Connects; what comes is kept in order for `next`. Options are those of the package. */
export async function connect(clientId, options = {}) {
    const client = mqtt.connect(process.env.DOOR_URL, {
        clientId,
        protocolVersion: version,
        reconnectPeriod: 0,
        ...options,
    });
    const messages = [];
    const waiting = [];
    client.on("message", (topic, payload, packet) => {
        const message = { topic, payload: payload.toString(), packet };
        if (waiting.length > 0) waiting.shift()(message);
        else messages.push(message);
    });
    client.next = () =>
        within(
            messages.length > 0 ? Promise.resolve(messages.shift()) : new Promise((resolve) => waiting.push(resolve)),
            `a message for ${clientId}`,
        );
    client.take = async (count) => {
        const taken = [];
        while (taken.length < count) taken.push(await client.next());
        return taken;
    };
    client.connack = await within(
        new Promise((resolve, reject) => {
            client.once("connect", resolve);
            client.once("error", reject);
        }),
        `CONNACK for ${clientId}`,
    );
    return client;
}

/** Options of a session that goes on without its connection. */
export const kept = version === 5 ? { clean: false, properties: { sessionExpiryInterval: 600 } } : { clean: false };
