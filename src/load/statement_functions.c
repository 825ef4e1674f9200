/* statement_functions: which of PostgreSQL's own functions only look. Of what pg_catalog has, those that are stable or
 * immutable and that applications call; of the volatile ones, those that change nothing. Sequences that move on,
 * advisory locks, notices, settings and large objects aren't in it. */
#include "load/statement_work.h"

#include <stdlib.h>
#include <string.h>

/* Not formatted: each would get a line of its own. */
/* clang-format off */
static const char *const looks[] = {
    "abbrev", "abs", "acos", "acosd", "acosh", "age", "any_value", "area", "array_agg",
    "array_dims", "array_fill", "array_length", "array_lower", "array_ndims", "array_position",
    "array_positions", "array_remove", "array_replace", "array_reverse", "array_sample",
    "array_shuffle", "array_sort", "array_to_json", "array_to_string", "array_to_tsvector",
    "array_upper", "ascii", "asin", "asind", "asinh", "atan", "atan2", "atan2d", "atand", "atanh",
    "avg", "bit_and", "bit_count", "bit_length", "bit_or", "bit_xor", "bool", "bool_and", "bool_or",
    "bound_box", "box", "bpchar", "broadcast", "btrim", "cardinality", "casefold", "cbrt", "ceil",
    "ceiling", "center", "char", "char_length", "character_length", "chr", "cidr", "circle",
    "clock_timestamp", "col_description", "concat", "concat_ws", "convert", "convert_from",
    "convert_to", "corr", "cos", "cosd", "cosh", "cot", "cotd", "count", "covar_pop", "covar_samp",
    "cume_dist", "current_database", "current_schema", "current_schemas", "current_setting",
    "current_user", "currval", "date", "date_add", "date_bin", "date_larger", "date_part",
    "date_subtract", "date_trunc", "datemultirange", "daterange", "decode", "degrees", "dense_rank",
    "dexp", "diagonal", "diameter", "dist", "distance", "div", "dlog1", "dlog10", "dround",
    "dtrunc", "encode", "enum_first", "enum_last", "enum_range", "erf", "erfc", "every", "exp",
    "extract", "factorial", "family", "first_value", "float4", "float8", "floor", "format",
    "format_type", "gcd", "gen_random_uuid", "generate_series", "generate_subscripts", "get_bit",
    "get_byte", "get_current_ts_config", "getdatabaseencoding", "getpgusername",
    "has_column_privilege", "has_function_privilege", "has_schema_privilege",
    "has_sequence_privilege", "has_table_privilege", "hashtext", "hashtextextended", "height",
    "host", "hostmask", "inet_client_addr", "inet_client_port", "inet_merge", "inet_same_family",
    "inet_server_addr", "inet_server_port", "initcap", "int2", "int4", "int8", "interval",
    "is_normalized", "isclosed", "isempty", "isfinite", "ishorizontal", "isopen", "isparallel",
    "isperp", "isvertical", "json_agg", "json_array_elements", "json_array_elements_text",
    "json_array_length", "json_build_array", "json_build_object", "json_each", "json_each_text",
    "json_exists", "json_object", "json_object_agg", "json_object_keys", "json_populate_record",
    "json_populate_recordset", "json_strip_nulls", "json_to_record", "json_to_recordset",
    "json_to_tsvector", "json_typeof", "jsonb_agg", "jsonb_array_elements",
    "jsonb_array_elements_text", "jsonb_array_length", "jsonb_build_array", "jsonb_build_object",
    "jsonb_each", "jsonb_each_text", "jsonb_insert", "jsonb_object", "jsonb_object_agg",
    "jsonb_object_keys", "jsonb_path_exists", "jsonb_path_exists_tz", "jsonb_path_match",
    "jsonb_path_match_tz", "jsonb_path_query", "jsonb_path_query_array",
    "jsonb_path_query_array_tz", "jsonb_path_query_first", "jsonb_path_query_first_tz",
    "jsonb_path_query_tz", "jsonb_populate_record", "jsonb_populate_recordset", "jsonb_pretty",
    "jsonb_set", "jsonb_set_lax", "jsonb_strip_nulls", "jsonb_to_record", "jsonb_to_recordset",
    "jsonb_to_tsvector", "jsonb_typeof", "justify_days", "justify_hours", "justify_interval", "lag",
    "last_value", "lastval", "lcm", "lead", "left", "length", "like", "like_escape", "line", "ln",
    "log", "log10", "lower", "lower_inf", "lpad", "lseg", "ltrim", "make_date", "make_interval",
    "make_time", "make_timestamp", "make_timestamptz", "masklen", "max", "md5", "min", "min_scale",
    "mod", "mode", "multirange", "mxid_age", "name", "netmask", "normalize", "notlike", "now",
    "npoints", "nth_value", "ntile", "num_nonnulls", "num_nulls", "numeric", "nummultirange",
    "numnode", "numrange", "obj_description", "octet_length", "oid", "oidvectortypes", "overlaps",
    "overlay", "parse_ident", "path", "pclose", "percent_rank", "percentile_cont",
    "percentile_disc", "pg_backend_pid", "pg_char_to_encoding", "pg_client_encoding",
    "pg_column_size", "pg_database_size", "pg_encoding_to_char", "pg_get_constraintdef",
    "pg_get_expr", "pg_get_functiondef", "pg_get_indexdef", "pg_get_serial_sequence",
    "pg_get_triggerdef", "pg_get_userbyid", "pg_get_viewdef", "pg_has_role", "pg_indexes_size",
    "pg_input_is_valid", "pg_is_in_recovery", "pg_my_temp_schema", "pg_postmaster_start_time",
    "pg_relation_size", "pg_size_pretty", "pg_table_is_visible", "pg_table_size",
    "pg_total_relation_size", "pg_type_is_visible", "pg_typeof", "phraseto_tsquery", "pi",
    "plainto_tsquery", "point", "polygon", "popen", "position", "pow", "power", "querytree",
    "quote_ident", "quote_literal", "quote_nullable", "radians", "radius", "random",
    "random_normal", "range_agg", "range_intersect_agg", "range_merge", "rank", "regclass",
    "regexp_count", "regexp_instr", "regexp_like", "regexp_match", "regexp_matches",
    "regexp_replace", "regexp_split_to_array", "regexp_split_to_table", "regexp_substr",
    "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx",
    "regr_sxy", "regr_syy", "repeat", "replace", "reverse", "right", "round", "row_number",
    "row_security_active", "row_to_json", "rpad", "rtrim", "scale", "session_user", "set_bit",
    "set_byte", "set_masklen", "setweight", "sha224", "sha256", "sha384", "sha512",
    "shobj_description", "sign", "similar_escape", "similar_to_escape", "sin", "sind", "sinh",
    "slope", "split_part", "sqrt", "statement_timestamp", "stddev", "stddev_pop", "stddev_samp",
    "string_agg", "string_to_array", "string_to_table", "strip", "strpos", "substr", "substring",
    "sum", "tan", "tand", "tanh", "text", "textcat", "textlen", "time", "timeofday", "timestamp",
    "timestamptz", "timezone", "to_ascii", "to_bin", "to_char", "to_date", "to_hex", "to_json",
    "to_jsonb", "to_number", "to_oct", "to_regclass", "to_regcollation", "to_regnamespace",
    "to_regoper", "to_regoperator", "to_regproc", "to_regprocedure", "to_regrole", "to_regtype",
    "to_timestamp", "to_tsquery", "to_tsvector", "transaction_timestamp", "translate", "trim",
    "trim_array", "trim_scale", "trunc", "ts_debug", "ts_delete", "ts_filter", "ts_headline",
    "ts_lexize", "ts_parse", "ts_rank", "ts_rank_cd", "tsmultirange", "tsrange", "tstzmultirange",
    "tstzrange", "tsvector_to_array", "txid_status", "unistr", "unnest", "upper", "upper_inf",
    "uuid_extract_timestamp", "uuid_extract_version", "uuidv4", "uuidv7", "var_pop", "var_samp",
    "varchar", "variance", "version", "websearch_to_tsquery", "width", "width_bucket", "xml",
    "xml_is_well_formed", "xml_is_well_formed_content", "xml_is_well_formed_document", "xmlagg",
    "xmlcomment", "xmlconcat2", "xmlexists", "xmlvalidate", "xpath", "xpath_exists",
};
/* clang-format on */

/* Answers differ from call to call. */
static const char *const moves[] = {"clock_timestamp",
                                    "gen_random_uuid",
                                    "nextval",
                                    "now",
                                    "random",
                                    "random_normal",
                                    "statement_timestamp",
                                    "timeofday",
                                    "transaction_timestamp",
                                    "txid_current",
                                    "uuid_generate_v1",
                                    "uuid_generate_v1mc",
                                    "uuid_generate_v4",
                                    "uuidv4",
                                    "uuidv7"};

static int by_name(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *) item);
}

static bool listed(const char *name, const char *const *list, size_t n)
{
    return bsearch(name, list, n, sizeof *list, by_name) != NULL;
}

bool function_only_looks(const char *name)
{
    return listed(name, looks, sizeof looks / sizeof *looks);
}

bool function_moves(const char *name) { return listed(name, moves, sizeof moves / sizeof *moves); }
