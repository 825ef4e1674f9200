/* types: OIDs of PostgreSQL's own types, fixed by pg_type.dat. A T_...S is the array of T_... */
#ifndef PHASEGATE_CHECK_TYPES_H
#define PHASEGATE_CHECK_TYPES_H

enum {
    T_BOOL = 16,
    T_BYTEA = 17,
    T_CHAR = 18,
    T_NAME = 19,
    T_INT8 = 20,
    T_INT2 = 21,
    T_INT4 = 23,
    T_REGPROC = 24,
    T_TEXT = 25,
    T_OID = 26,
    T_JSON = 114,
    T_XML = 142,
    T_POINT = 600,
    T_CIDR = 650,
    T_FLOAT4 = 700,
    T_FLOAT8 = 701,
    T_MONEY = 790,
    T_MACADDR = 829,
    T_INET = 869,
    T_INT2S = 1005,
    T_INT4S = 1007,
    T_TEXTS = 1009,
    T_VARCHARS = 1015,
    T_INT8S = 1016,
    T_BPCHAR = 1042,
    T_VARCHAR = 1043,
    T_DATE = 1082,
    T_TIME = 1083,
    T_TIMESTAMP = 1114,
    T_TIMESTAMPTZ = 1184,
    T_INTERVAL = 1186,
    T_NUMERICS = 1231,
    T_TIMETZ = 1266,
    T_BIT = 1560,
    T_VARBIT = 1562,
    T_NUMERIC = 1700,
    T_UUID = 2950,
    T_TSVECTOR = 3614,
    T_TSQUERY = 3615,
    T_JSONB = 3802,
    T_JSONPATH = 4072
};

#endif
