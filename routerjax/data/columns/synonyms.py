"""What columns are called: the names under which the parts of a log are commonly written."""

from __future__ import annotations

import re
import unicodedata

ROLES = {
    "prompt": "prompt question query user_input user_message user_prompt input messages "
    "input.messages request.messages instruction prompts text conversation content request.prompt "
    "gen_ai.input.messages gen_ai.prompt frage anfrage eingabe pregunta consulta requete invite "
    "pergunta domanda vraag",
    "embedding": "embedding embeddings vector prompt_embedding query_embedding features emb x",
    "model": "model gen_ai.request.model request.model model_name model_id llm request_model "
    "gen_ai.response.model response_model deployment engine model_group chosen_model routed_model "
    "provider_model modelname answered_by arm modell modele modelo modello",
    "quality": "quality score rating stars reward judge_score user_rating feedback.score "
    "feedback.rating feedback.thumb scores.value thumb thumbs feedback grade correct is_correct "
    "correctness accuracy vote user_feedback user_score helpfulness passed success satisfaction "
    "evaluation eval_score good is_good helpful is_helpful resolved is_resolved solved accepted "
    "acceptable useful csat exact_match result label value gen_ai.evaluation.score.value "
    "bewertung urteil qualitat qualitaet valoracion calificacion calidad avis qualite avaliacao "
    "valutazione",
    "cost": "cost spend total_cost usage.total_cost response_cost cost_usd usd dollars "
    "calculated_total_cost gen_ai.usage.cost.amount gen_ai.usage.cost usage.cost price "
    "cost_dollars cost_cents cost_eur charge amount costs cost_in_usd total_price cost.total "
    "cost_total cost_micros cost_in_dollars total_spend "
    "kosten preis costo coste cout prix custo preco prezzo",
    "input_tokens": "input_tokens prompt_tokens usage.prompt_tokens usage.input_tokens tokens_in "
    "gen_ai.usage.input_tokens usage.input prompt_token_count num_input_tokens n_prompt_tokens "
    "tokens_prompt tokens_input",
    "output_tokens": "output_tokens completion_tokens usage.completion_tokens usage.output_tokens "
    "gen_ai.usage.output_tokens usage.output tokens_out candidates_token_count num_output_tokens "
    "completion_token_count generated_tokens tokens_completion tokens_output",
    "request_id": "request_id id trace_id call_id uuid response_id gen_ai.response.id sample_id "
    "query_id message_id row_id span_id log_id",
    "group": "group user user_id session session_id end_user conversation_id customer customer_id "
    "thread_id chat_id userid sessionid account tenant client_id",
    "time": "time timestamp created created_at start_time date datetime ts logged_at request_time "
    "start_time_unix_nano time_created occurred_at event_time zeit zeitpunkt datum fecha "
    "horodatage",
    "propensity": "propensity propensities prob probability pscore logging_prob action_prob "
    "action_probability logging_propensity p",
    "split": "split partition fold subset set",
    "scored_by": "scored_by judge evaluator grader annotator rater scorer scores.source "
    "label_source score_source judged_by source",
    "status": "status status_code http_status state outcome response_status",
    "task": "task category eval_name topic domain dataset benchmark subject task_name",
    "available": "available available_models models_available candidates candidate_models "
    "eligible_models available_deployments healthy_models",
    "pinned": "pinned is_pinned user_pinned model_pinned pinned_model forced model_forced manual "
    "manual_model user_selected user_selected_model model_override",
    "currency": "currency gen_ai.usage.cost.currency cost_currency usage.currency",
}
"""Role → names, the most telling first; a dot joins a name to that of what it is a part of."""

ANSWERS = frozenset(
    "response responses output outputs choices completion completions answer answers".split()
)
"""Names of what holds an answer, in which no text is a prompt."""

NOT_PROMPTS = (
    "response output answer completion assistant system reply generated reasoning error stack "
    "metadata reference expected target user_agent url template judge negative"
).split()
"""Words in the names of texts that are no prompts."""

ENDINGS = {
    "model": "model llm",
    "quality": "quality score rating stars reward thumb thumbs feedback grade correct accuracy",
    "cost": "cost spend usd dollars price cents cent eur kosten micros",
    "propensity": "propensity prob probability",
    "prompt": "prompt question query messages",
    "embedding": "embedding embeddings vector",
    "time": "timestamp time created_at",
    "request_id": "request_id trace_id",
    "group": "user_id session_id",
}
"""Words with which a longer name of a role may end, as in llm_judge_score."""
BY_ENDING = 4.0
"""How much a name that only ends so sounds like the role."""

VALUES = {
    word: worth
    for worth, words in (
        (
            1.0,
            "up thumbs_up thumbsup thumb_up 👍 good yes y pass passed correct right liked resolved",
        ),
        (
            1.0,
            "like positive helpful accept accepted win upvote success +1 ok satisfied great useful",
        ),
        (1.0, "gut richtig ja hilfreich bueno buena bien si sim correcto correcta util bon bonne"),
        (1.0, "oui vrai utile pouce_haut pouce_en_haut bom certo buono corretto daumen_hoch 好 赞"),
        (0.5, "neutral tie partial partially_correct mixed"),
        (0.0, "schlecht falsch nein malo mala mal incorrecto incorrecta inutil mauvais mauvaise"),
        (0.0, "non faux inutile pouce_bas pouce_en_bas ruim nao errado cattivo sbagliato"),
        (0.0, "daumen_runter 差 踩"),
        (0.0, "down thumbs_down thumbsdown thumb_down 👎 bad no n fail failed incorrect wrong"),
        (0.0, "dislike disliked negative unhelpful not_helpful reject rejected loss lose downvote"),
        (0.0, "failure -1 dissatisfied unsatisfied poor terrible useless not_useful unresolved"),
    )
    for word in words.split()
}
"""Words of feedback and what they are worth between 0 and 1."""
YES_OR_NO = frozenset("yes y no n ja nein si sim nao oui non".split())
"""Words of feedback that answer whatever the column asks, which its name says."""
ASKS_HOW_GOOD = re.compile(
    r"thumb|help|hilf|good|gut|bon|bue?n|corre|right|richtig|satisf|lik|resol|solv|accept|use?ful|"
    r"util|happy|approv|feedback|pass|success|quality|vote|rating|bewert|agree|relevan|accura|valid"
)
"""What columns are called that ask whether an answer was good."""

MODEL_WORDS = re.compile(
    r"gpt|claude|llama|gemini|gemma|mi[sx]tral|qwen|deepseek|sonnet|haiku|opus|command-r|grok|phi-"
    r"|nova|titan|jurassic|palm|yi-|o[134]-mini|^o[134]$|kimi|glm|granite|falcon|vicuna|wizard|mini"
    r"|large|small|tiny|\d+b\b",
    re.IGNORECASE,
)


OF_SCORE = re.compile(r"\[name=([^\]]*)\]")
NO_QUALITY = re.compile(
    r"hallucinat|toxi|harm|bias|risk|refus|error|latency|duration|cost|token|length", re.IGNORECASE
)
"""What scores are called that say how bad an answer is, or how long."""
BAD = re.compile(
    r"hallucinat|toxic|harm(?!less)|unsafe|refusal|error|violation|risk|(?:^|_)(?:wer|rank)$"
    r"|negative|unhelpful|incorrect|inaccura|dislike|downvote|thumbs?_?down|complain"
    r"|(?:^|_)(?:not|bad|wrong|fail(?:ed|ures?)?|penalty|loss|regret|perplexity|distance)(?:_|$)"
)
"""What columns are called that say how bad an answer is."""
ASIDE = {
    "quality": re.compile(
        r"(?:^|[._])(?:max|min|maximum|minimum|required|target|threshold|expected|predicted|"
        r"estimated|baseline|difficulty|complexity|confidence|priority|urgency|popularity|"
        r"latency|length|duration)(?:[._]|$)"
    ),
    "cost": re.compile(
        r"(?:^|[._])(?:max|min|maximum|minimum|limit|budget|threshold|remaining|expected|predicted|"
        r"baseline|cumulative|cumulated|running|accumulated|monthly|daily|saved|savings?|balance)"
        r"(?:[._]|$)"
    ),
}
"""Words in the names of scores that are none of an answer, and of costs that no call had."""
OF_PART = re.compile(r"(?:^|_)(?:input|output|prompt|completion|cached?|reasoning)(?:_|$)")
"""What columns are called that hold a part of a cost."""
SCALE = re.compile(r"\s*(?:\((?:out of )?\d+(?:\s*[-–/]\s*\d+)?\)|/\s*\d+)$")
"""What says in a name between which numbers a score lies."""
MEAN = re.compile(r"\.(?:avg|average|mean|value|score|overall)$")
"""Parts of a score that hold its number."""


def plain(path: str) -> str:
    """A path in words: no indexes, camel case in parts, small letters, no accents or brackets.

    What says between which numbers a score lies is left out, as in ``Rating (1-5)``.
    """
    path = re.sub(r"\[[^\]]*\]|\.-?\d+(?=\.|$)", "", path)
    path = SCALE.sub("", path)
    path = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", path)
    return re.sub(r"[\s\-/|()$€£¢¥%]+", "_", unaccented(path)).lower().strip("_")


def unaccented(text: str) -> str:
    """The text without the marks on its letters: coût is cout."""
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(p for p in parts if not unicodedata.combining(p)))


def named(role: str, path: str) -> float:
    """How much a path sounds like a role: 0 not at all, up to 10 where it is the role's name."""
    name, known = plain(path), ROLES[role].split()
    score = OF_SCORE.search(path)
    if role == "quality" and score is not None and NO_QUALITY.search(score[1]):
        return 0.0
    if (role == "quality" and says_how_bad(path)) or (role == "cost" and is_of_part(path)):
        return 0.0
    if role in ASIDE and ASIDE[role].search(name):
        return 0.0
    for place, synonym in enumerate(known):
        if name == synonym or name.endswith(f".{synonym}") or name.replace("_", "") == synonym:
            return 10.0 - 4.0 * place / len(known)
    last = name.rsplit(".", 1)[-1]
    ends = ENDINGS.get(role, "").split()
    if role == "quality" and MEAN.search(name) and (inner := named(role, MEAN.sub("", name))):
        return inner - 0.5
    ended = any(last.endswith(f"_{each}") or last == each for each in ends)
    return BY_ENDING if ended else 0.0


def says_how_bad(path: str) -> bool:
    """Whether a path sounds like a score of which a lower one is better."""
    score = OF_SCORE.search(path)
    name = MEAN.sub("", plain(path)).rsplit(".", 1)[-1] if score is None else plain(score[1])
    return BAD.search(name) is not None


def is_of_part(path: str) -> bool:
    """Whether a path sounds like the cost of a part of a call: of its input, or of its output."""
    return OF_PART.search(plain(path).rsplit(".", 1)[-1]) is not None
