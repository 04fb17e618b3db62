"""Alertmanager's configuration: who is told what, by setting."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import SecretStr

from emdata.settings import Settings


def alertmanager_config(settings: Settings) -> str:
    """Return alertmanager.yml; without any receiver, alerts are only shown.

    Pages go everywhere that is set, warnings to e-mail and Slack. A stopped stream manager
    silences what follows from it.
    """
    config: dict[str, Any] = {
        "route": {
            "receiver": "warn",
            "group_by": ["alertname", "source_id"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "12h",
            "routes": [
                {"matchers": ['severity="page"'], "receiver": "page", "repeat_interval": "1h"}
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="StreamManagerDown"'],
                "target_matchers": ['alertname=~"Stream.*"', 'severity="warn"'],
            }
        ],
        "receivers": [
            {"name": "warn", **_mail(settings), **_slack(settings)},
            {"name": "page", **_mail(settings), **_slack(settings), **_pagerduty(settings)},
        ],
    }
    return yaml.safe_dump(config, sort_keys=False)


def _mail(settings: Settings) -> dict[str, Any]:
    if not (settings.alert_email and settings.alert_smtp):
        return {}
    mail: dict[str, Any] = {
        "to": settings.alert_email,
        "from": settings.alert_smtp_user or settings.alert_email,
        "smarthost": settings.alert_smtp,
        "send_resolved": True,
    }
    if settings.alert_smtp_user:
        mail["auth_username"] = settings.alert_smtp_user
        mail["auth_password"] = _text(settings.alert_smtp_password)
    return {"email_configs": [mail]}


def _slack(settings: Settings) -> dict[str, Any]:
    if settings.alert_slack_url is None:
        return {}
    return {
        "slack_configs": [
            {
                "api_url": _text(settings.alert_slack_url),
                "send_resolved": True,
                "title": "{{ .CommonLabels.alertname }} ({{ .CommonLabels.severity }})",
                "text": "{{ range .Alerts }}{{ .Annotations.summary }} "
                "{{ .Annotations.runbook_url }}\n{{ end }}",
            }
        ]
    }


def _pagerduty(settings: Settings) -> dict[str, Any]:
    if settings.alert_pagerduty_key is None:
        return {}
    key = _text(settings.alert_pagerduty_key)
    return {"pagerduty_configs": [{"routing_key": key, "send_resolved": True}]}


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
