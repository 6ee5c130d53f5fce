/*
 * libcurl's multi handle on an event loop: transfers that are added go on by themselves.
 *
 * Watches libcurl's sockets and timer with libevent, and calls back for each transfer that is done.
 * What a transfer is, its easy handle and its memory are the owner's. The loop's thread.
 */
#ifndef SLUICE_TRANSFER_CURL_LOOP_H
#define SLUICE_TRANSFER_CURL_LOOP_H

#include <curl/curl.h>

struct event_base;
struct curl_loop;

/** The transfer of this easy handle is done; it is still in the multi handle, and is the owner's to
 * remove. */
typedef void (*curl_loop_cb)(void *ctx, CURL *easy, CURLcode code);

/** Also counts as a user of libcurl's global state. Returns NULL when memory is out. */
struct curl_loop *curl_loop_new(struct event_base *base, curl_loop_cb done, void *ctx);
/** After every easy handle was removed. Accepts NULL. */
void curl_loop_free(struct curl_loop *l);
/** To add and remove easy handles, and for options of the multi handle. */
CURLM *curl_loop_multi(const struct curl_loop *l);

#endif
