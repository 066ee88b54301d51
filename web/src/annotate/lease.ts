/** Leases that are renewed while somebody is at work. */

import { ApiError, ask, type Schemas } from "../api/client";
import type { Task } from "./task";

const RENEW_WHEN_LEFT = 0.5;

/** Renew those of which less than half is left. A region that is not ours any more says why. */
export async function renewThoseDue(tasks: readonly Task[]): Promise<void> {
  for (const task of tasks) {
    const left = task.leasedUntil.value - Date.now();
    const whole = Date.parse(task.region.lease_expires_at) - task.begun;
    if (task.lost.value === null && left <= RENEW_WHEN_LEFT * whole) await renew(task);
  }
}

async function renew(task: Task): Promise<void> {
  try {
    const body = { lease_token: task.leaseToken };
    const lease = await ask<Schemas["LeaseOut"]>("POST", `/regions/${task.region.id}/renew`, { body });
    task.leasedUntil.value = Date.parse(lease.lease_expires_at);
  } catch (error) {
    if (error instanceof ApiError && !error.passing && error.status !== 401) task.lost.value = error.message;
  }
}
