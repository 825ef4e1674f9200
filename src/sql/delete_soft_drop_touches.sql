-- purpose: what is hidden anew is watched from the start
-- params: $1 plan, $2 step
-- returns: nothing
WITH touches AS (
    DELETE FROM phasegate.soft_drop_touch AS t WHERE t.plan = $1::text AND t.step = $2::text
)
DELETE FROM phasegate.soft_drop_calls AS c WHERE c.plan = $1::text AND c.step = $2::text
