/* What things cost, as bench/capacity measured it: made by `bench/capacity --write`, with the table
 * of deploy/CAPACITY.md. X(name, value). */
#ifndef SLUICE_CAPACITY_COSTS_H
#define SLUICE_CAPACITY_COSTS_H

/* clang-format off */
#define CAPACITY_COSTS(X) \
    X(worker_request_us, 26) \
    X(worker_record_us, 0.01) \
    X(worker_kib_us, 1.56) \
    X(worker_https_request_us, 14) \
    X(worker_https_kib_us, 0.35) \
    X(worker_handshake_us, 398) \
    X(worker_idle_us, 13) \
    X(worker_memory_kib, 7192) \
    X(scheduler_unchanged_us, 0.258) \
    X(scheduler_sent_us, 0.48) \
    X(scheduler_batch_us, 13) \
    X(scheduler_quota_us, 319) \
    X(scheduler_row_bits, 1.8) \
    X(scheduler_memory_kib, 2206) \
    X(state_row_bytes, 87) \
    X(spool_record_bytes, 73) \
    X(redis_batch_us, 56) \
    X(redis_kib_us, 1.45) \
    X(redis_quota_us, 414) \
    X(redis_worker_us, 14) \
    X(redis_permit_us, 42) \
    X(redis_results_us, 0.4) \
    X(redis_ask_us, 24) \
    X(redis_wait_us, 8) \
    X(redis_queued_bytes, 1353) \
    X(redis_token_bytes, 116) \
    X(redis_quota_bytes, 2595) \
    X(redis_memory_kib, 1178) \
    X(redis_batch_net_bytes, 1420) \
    X(payload_body_ratio, 0.185)
/* clang-format on */

#endif
