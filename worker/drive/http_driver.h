/* The driver of every HTTP destination: it carries out connectors. */
#ifndef SLUICE_DRIVE_HTTP_DRIVER_H
#define SLUICE_DRIVE_HTTP_DRIVER_H

#include "worker/deliver/driver.h"

extern const struct driver http_driver;

#endif
