// Reads a JSON list of manifests on stdin, prints a JSON list of what their schemas have against them, one text each.
// The schemas are compiled validators that let unknown fields pass. They read every field they know of an object, though, so
// what was never read of an object that was looked into is a field nobody knows: objects are handed to them in wrappers that notice.
import fs from "node:fs";

const PACKAGES = { "keda.sh": "@kubernetes-models/keda", "monitoring.coreos.com": "@kubernetes-models/prometheus-operator" };

class Watched {
  constructor(value, path, all) {
    this.value = value;
    this.path = path;
    this.read = new Set();
    this.open = false; // its keys were asked for: a map, every key of which is fine
    this.inner = new Map();
    this.all = all;
    all.push(this);
  }

  get(key) {
    if (typeof key === "string") this.read.add(key);
    const value = Reflect.get(this.value, key);
    if (value === null || typeof value !== "object") return value;
    if (!this.inner.has(key)) this.inner.set(key, watch(value, `${this.path}.${key}`, this.all));
    return this.inner.get(key);
  }

  unknown() {
    if (Array.isArray(this.value) || this.open || this.read.size === 0) return [];
    return Object.keys(this.value).filter((key) => !this.read.has(key));
  }
}

function watch(value, path, all) {
  const watched = new Watched(value, path, all);
  return new Proxy(value, {
    get: (_, key) => watched.get(key),
    ownKeys: (target) => {
      watched.open = true;
      return Reflect.ownKeys(target);
    },
  });
}

async function schema(manifest) {
  const version = String(manifest.apiVersion);
  const group = version.includes("/") ? version.split("/")[0] : "";
  const module = await import(`${PACKAGES[group] ?? "kubernetes-models"}/${version}/${manifest.kind}`);
  return module[manifest.kind].prototype.validate;
}

async function problems(manifest) {
  const name = `${manifest.kind}/${manifest.metadata?.name}`;
  let validate;
  try {
    validate = await schema(manifest);
  } catch {
    return [`${name}: there is no ${manifest.kind} of ${manifest.apiVersion}`];
  }
  const all = [];
  try {
    validate.call(watch(manifest, name, all));
  } catch (error) {
    return [`${name}: ${error.message}`];
  }
  return all.flatMap((object) => object.unknown().map((key) => `${object.path}: unknown field ${key}`));
}

const manifests = JSON.parse(fs.readFileSync(0, "utf8"));
console.log(JSON.stringify((await Promise.all(manifests.map(problems))).flat()));
