/*
 * The Postgres driver: a table as a destination, behind the same interface as HTTP.
 *
 * A batch becomes rows in COPY form and is carried by one of the destination's connections in one
 * transaction; a batch that the server refuses is halved by the engine until the bad record stands
 * alone. What SQLSTATE classes mean is in postgres.c.
 */
#ifndef SLUICE_POSTGRES_POSTGRES_H
#define SLUICE_POSTGRES_POSTGRES_H

#include "worker/deliver/driver.h"

extern const struct driver postgres_driver;

#endif
