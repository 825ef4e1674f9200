-- What pg_stat_statements has thrown out since something was hidden was perhaps a read of it.
DO $comments$
BEGIN
    COMMENT ON COLUMN phasegate.soft_drop_calls.queryid IS
        'Statement; 0: all there were are recorded, and calls is how often statements had been thrown out to make room';
END
$comments$;
