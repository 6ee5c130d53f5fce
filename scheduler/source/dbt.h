/*
 * A dbt project's manifest.json: which relation a model was built into.
 *
 * Reads the file at once (when a run starts), gives a relation's name as SQL writes it. Pure
 * otherwise.
 */
#ifndef SLUICE_SOURCE_DBT_H
#define SLUICE_SOURCE_DBT_H

#include "protocol/base/buf.h"

/**
 * model: a name, or a unique id such as model.shop.customers. Appends `"database"."schema"."name"`.
 * Errors: ERR_CONFIG (no file, not a manifest, no such model, several of that name, nothing built),
 * ERR_NOMEM.
 */
enum err_code dbt_relation(const char *manifest_path, const char *model, struct buf *out,
                           struct err *err) MUST_CHECK;

#endif
