/** What this browser keeps: small settings in localStorage, work in IndexedDB. */

import { signal, type Signal } from "@preact/signals";

/** A signal that is as it was left when the page is opened again. */
export function kept<T>(name: string, first: T): Signal<T> {
  const key = `regionwise.${name}`;
  const found = signal<T>(first);
  try {
    const text = localStorage.getItem(key);
    if (text !== null) found.value = JSON.parse(text) as T;
  } catch {
    // A private window keeps nothing, and what is no JSON was not ours.
  }
  found.subscribe((value) => {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch {
      // As above.
    }
  });
  return found;
}

/** A table of IndexedDB. */
export class Table<T extends { key: string }> {
  constructor(
    private readonly name: string,
    private readonly database: () => Promise<IDBDatabase>,
  ) {}

  async put(row: T): Promise<void> {
    await this.run("readwrite", (store) => store.put(row));
  }

  async get(key: string): Promise<T | undefined> {
    return (await this.run("readonly", (store) => store.get(key))) as T | undefined;
  }

  async all(): Promise<T[]> {
    return (await this.run("readonly", (store) => store.getAll())) as T[];
  }

  async remove(key: string): Promise<void> {
    await this.run("readwrite", (store) => store.delete(key));
  }

  /** Put another row in the place of one that is as said, or none, in one go with looking at it. */
  async exchange(key: string, is: (row: T) => boolean, next: T | null): Promise<void> {
    await this.run("readwrite", (store) => {
      const asked = store.get(key) as IDBRequest<T | undefined>;
      asked.onsuccess = () => {
        if (asked.result === undefined || !is(asked.result)) return;
        if (next === null) store.delete(key);
        else store.put(next);
      };
      return asked;
    });
  }

  private async run(mode: IDBTransactionMode, request: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
    const transaction = (await this.database()).transaction(this.name, mode, { durability: "strict" });
    const asked = request(transaction.objectStore(this.name));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new Error("Nothing was kept."));
    });
  }
}

/** A database of these tables, opened at the first use. */
export function openOnce(name: string, tables: readonly string[]): () => Promise<IDBDatabase> {
  let opened: Promise<IDBDatabase> | undefined;
  return () => {
    opened ??= new Promise((resolve, reject) => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => {
        for (const table of tables) request.result.createObjectStore(table, { keyPath: "key" });
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("This browser keeps nothing."));
    });
    return opened;
  };
}
