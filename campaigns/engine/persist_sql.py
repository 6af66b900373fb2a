"""The statements of persist: one per table for a whole batch, each safe to meet its own rows again."""

# A settled run is never touched again; a deferral or a block is overwritten by what follows it. The message
# hangs on the row just written: were the run settled by another hand, there would be no row and no message.
RUNS_AND_MESSAGES = """
    WITH wanted AS (
        SELECT * FROM unnest(
            %s::bigint[], %s::bigint[], %s::int[], %s::timestamptz[], %s::text[], %s::text[], %s::text[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[]
        ) AS t(case_id, step_id, round, scheduled_for, decision, reason, rule,
               customer_id, brand_id, template_version_id, channel, contact_id, language, recipient)
    ), runs AS (
        INSERT INTO campaigns_steprun AS r
               (case_id, step_id, round, scheduled_for, decided_at, decision, reason, rule)
        SELECT case_id, step_id, round, scheduled_for, %s, decision, reason, rule FROM wanted
        ON CONFLICT (case_id, step_id, round) DO UPDATE
           SET scheduled_for = EXCLUDED.scheduled_for, decided_at = EXCLUDED.decided_at,
               decision = EXCLUDED.decision, reason = EXCLUDED.reason, rule = EXCLUDED.rule
         WHERE r.decision IN ('deferred', 'blocked')
        RETURNING id, case_id, step_id
    )
    INSERT INTO campaigns_message
           (customer_id, brand_id, case_id, step_run_id, contact_id, purpose, channel, template_version_id,
            language, recipient, key, status, subject, html, text, queued_at, send_at, attempts, provider_id,
            reason, rule)
    SELECT w.customer_id, w.brand_id, w.case_id, runs.id, w.contact_id, 'dunning', w.channel,
           w.template_version_id, w.language, w.recipient,
           'step:' || runs.id || ':' || COALESCE(w.contact_id, 0) || ':' || w.channel,
           'queued', '', '', '', %s, %s, 0, '', '', ''
      FROM runs
      JOIN wanted w ON w.case_id = runs.case_id AND w.step_id = runs.step_id
     WHERE w.template_version_id IS NOT NULL
    ON CONFLICT DO NOTHING
"""
# The same rung by another channel: it hangs on the run that was taken, and can be there only once per channel.
AGAIN = """
    INSERT INTO campaigns_message
           (customer_id, brand_id, case_id, step_run_id, contact_id, purpose, channel, template_version_id,
            language, recipient, key, status, subject, html, text, queued_at, send_at, attempts, provider_id,
            reason, rule)
    SELECT w.customer_id, w.brand_id, w.case_id, r.id, w.contact_id, 'dunning', w.channel, w.template_version_id,
           w.language, w.recipient, 'step:' || r.id || ':' || COALESCE(w.contact_id, 0) || ':' || w.channel,
           'queued', '', '', '', %s, %s, 0, '', '', ''
      FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],
                  %s::bigint[], %s::text[], %s::text[])
           AS w(case_id, step_id, round, customer_id, brand_id, template_version_id, channel, contact_id, language,
                recipient)
      JOIN campaigns_steprun r ON r.case_id = w.case_id AND r.step_id = w.step_id AND r.round = w.round
    ON CONFLICT DO NOTHING
"""
# A case that goes over to another ladder begins it anew; its rounds go on, so that no step acts twice in one.
START = """
    UPDATE campaigns_case c
       SET ladder_version_id = u.version_id, round = c.round + 1, position = 0, anchor_at = %s,
           next_action_at = %s, next_action_reason = u.reason
      FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS u(id, version_id, reason)
     WHERE c.id = u.id
"""
CASES = """
    UPDATE campaigns_case c
       SET state = u.state, anchor_at = u.anchor_at, position = u.position,
           next_action_at = u.next_action_at, next_action_reason = u.reason,
           rests_until = CASE WHEN u.state = 'open' THEN NULL ELSE c.rests_until END,
           rest_reason = CASE WHEN u.state = 'open' THEN '' ELSE c.rest_reason END,
           closed_at = CASE WHEN u.state = 'lost' THEN %s ELSE c.closed_at END,
           close_reason = CASE WHEN u.state = 'lost' THEN 'exhausted' ELSE c.close_reason END
      FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::int[], %s::timestamptz[], %s::text[])
           AS u(id, state, anchor_at, position, next_action_at, reason)
     WHERE c.id = u.id
"""
# The retry loop reads this: no charge of the old card right after a mail that asks for a new one.
QUIET = """
    UPDATE billing_invoice SET retry_not_before = %s
     WHERE id = ANY(%s) AND (retry_not_before IS NULL OR retry_not_before < %s)
"""
