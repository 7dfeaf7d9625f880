/** Cuts a crashed process off from its disk. */

/** `store` until `isDead` says so; from then on no call has any effect, nor ever returns. */
export function untilDead<T extends object>(store: T, isDead: () => boolean): T {
  return new Proxy(store, {
    get(target, key): unknown {
      const member: unknown = Reflect.get(target, key);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown =>
        isDead() ? new Promise<never>(() => undefined) : Reflect.apply(member, target, args);
    },
  });
}
