/** Puts something between an object and whoever calls its methods. */

/** `target`, of which some methods are others. */
export function replacing<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(_, key): unknown {
      const owner = Object.hasOwn(methods, key) ? methods : target;
      const member: unknown = Reflect.get(owner, key);
      return typeof member === "function" ? member.bind(owner) : member;
    },
  });
}

/** `target` until `isDead` says so: from then on no call has any effect, nor ever returns. */
export function untilDead<T extends object>(target: T, isDead: () => boolean): T {
  return new Proxy(target, {
    get(_, key): unknown {
      const member: unknown = Reflect.get(target, key);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown =>
        isDead() ? new Promise<never>(() => undefined) : Reflect.apply(member, target, args);
    },
  });
}
