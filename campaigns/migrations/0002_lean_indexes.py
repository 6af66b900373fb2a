import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0001_initial'),
        ('customers', '0002_lean_indexes'),
    ]

    operations = [
        migrations.AlterField(
            model_name='case',
            name='brand',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='customers.brand', verbose_name='brand'),
        ),
        migrations.AlterField(
            model_name='case',
            name='ladder_version',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='cases', to='campaigns.ladderversion', verbose_name='ladder'),
        ),
        migrations.AlterField(
            model_name='caseinvoice',
            name='case',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='case_invoices', to='campaigns.case', verbose_name='case'),
        ),
        migrations.AlterField(
            model_name='message',
            name='brand',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='customers.brand', verbose_name='brand'),
        ),
        migrations.AlterField(
            model_name='message',
            name='contact',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='customers.contact', verbose_name='contact'),
        ),
        migrations.AlterField(
            model_name='message',
            name='key',
            field=models.CharField(editable=False, max_length=120),
        ),
        migrations.AlterField(
            model_name='message',
            name='step_run',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='campaigns.steprun', verbose_name='step'),
        ),
        migrations.AlterField(
            model_name='message',
            name='template_version',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.templateversion', verbose_name='template'),
        ),
        migrations.AlterField(
            model_name='steprun',
            name='case',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='step_runs', to='campaigns.case', verbose_name='case'),
        ),
        migrations.AlterField(
            model_name='steprun',
            name='step',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.step', verbose_name='step'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(fields=('key',), name='message_key_unique'),
        ),
        # Rows that every loop rewrites: room for the next version on the same page.
        migrations.RunSQL(
            """
            ALTER TABLE campaigns_case SET (fillfactor = 75);
            ALTER TABLE campaigns_message SET (fillfactor = 80);
            """,
            """
            ALTER TABLE campaigns_case RESET (fillfactor);
            ALTER TABLE campaigns_message RESET (fillfactor);
            """,
        ),
    ]
