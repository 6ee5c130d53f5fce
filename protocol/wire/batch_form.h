/* The bytes of a batch that writer and reader share; private to this folder. Normative:
 * protocol/PROTOCOL.md. */
#ifndef SLUICE_WIRE_BATCH_FORM_H
#define SLUICE_WIRE_BATCH_FORM_H

#include "protocol/wire/batch.h"

enum {
    CODEC_PLAIN = 0,
    CODEC_LZ4 = 1,    /* one LZ4 block */
    PREFIX_BYTES = 5, /* codec, raw length */
};

enum {
    HEAD_ITEMS = 15,   /* version, 6 texts, planned, sequence, last, newest, key names, field paths,
                          policies, rows */
    HEAD_ITEMS_1 = 11, /* of version 1: without sequence, last, newest, policies */
    ROW_FIXED_ITEMS = 3, /* ordinal, op, array of values; the keys stand before the array */
};

/* msgpack format bytes, as the specification numbers them. */
enum {
    FORM_FIXARRAY = 0x90,
    FORM_FIXSTR = 0xa0,
    FORM_NIL = 0xc0,
    FORM_FALSE = 0xc2,
    FORM_TRUE = 0xc3,
    FORM_EXT8 = 0xc7,
    FORM_EXT16 = 0xc8,
    FORM_EXT32 = 0xc9,
    FORM_UINT8 = 0xcc,
    FORM_UINT16 = 0xcd,
    FORM_UINT32 = 0xce,
    FORM_STR8 = 0xd9,
    FORM_STR16 = 0xda,
    FORM_STR32 = 0xdb,
    FORM_ARRAY16 = 0xdc,
};

/* Our extension types. */
enum {
    EXT_NUMBER = 1, /* a JSON number literal */
    EXT_JSON = 2,   /* a compact JSON value */
    EXT_ABSENT = 3, /* empty */
};

/* Ops that carry no field values. */
static inline bool batch_op_is_bare(enum record_op op)
{
    return op == OP_DELETE || op == OP_CLEAR;
}

#endif
