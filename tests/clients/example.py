import openai
from apex_client import Apex, BudgetExceeded, Usage, input_bound

apex = Apex()  # APEX_URL, APEX_TOKEN
client = openai.OpenAI(max_retries=0)
messages = [{"role": "user", "content": "What is the weather like?"}]

try:
    usage = Usage(input=input_bound(messages), output=1000)
    with apex.reserve(provider="openai", model="m", usage=usage, min_output_tokens=100) as call:
        response = client.chat.completions.create(model="m", messages=messages, max_tokens=call.output_limit)
        settled = call.settle(response=response)
    print(response.choices[0].message.content, settled.cost)
except BudgetExceeded as refused:
    print(f"{refused.left} left of {refused.budget} until {refused.renews_at}")
